"""Column types that both databases keep exactly: whole numbers, amounts, documents.

In: Python values. Out: what SQLite's STRICT tables and PostgreSQL store. Digests, addresses and transaction hashes
are 0x-hex text, documents canonical JSON text, times whole seconds since the Unix epoch.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Dialect, ForeignKey, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

WEI_DIGITS: Final = 39
"""Decimal digits of the largest uint128."""

WholeNumber: Final = Integer().with_variant(BigInteger(), "postgresql")


class WeiText(TypeDecorator[int]):
    """A uint128 as 39 decimal digits, padded, so that the order of the text is the order of the amounts.

    In Python it is an int; `max()`, comparisons and ORDER BY work in SQL, sums do not: add up in Python.
    Raises ValueError for a negative amount or one above uint128.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 128:
            raise ValueError(f"{value!r} is not an amount of wei: pass an int that fits uint128")
        return f"{value:0{WEI_DIGITS}d}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


def text(name: str, *, key: bool = False, null: bool = False, unique: bool = False, of: str = "") -> Column[str]:
    """A text column; `of` names the column that it refers to."""
    return Column(name, Text, *_refers(of), primary_key=key, nullable=null, unique=unique or None)


def whole(name: str, *, key: bool = False, null: bool = False, of: str = "", cascade: bool = False) -> Column[int]:
    """A whole number of up to 63 bits; a key is never numbered by the database."""
    return Column(name, WholeNumber, *_refers(of, cascade), primary_key=key, nullable=null, autoincrement=False)


def wei(name: str, *, key: bool = False, null: bool = False) -> Column[int]:
    return Column(name, WeiText, primary_key=key, nullable=null)


def blob(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


def _refers(of: str, cascade: bool = False) -> list[Any]:
    return [ForeignKey(of, ondelete="CASCADE" if cascade else None)] if of else []
