"""Reading records from the files that people have: JSON Lines, JSON and two-column CSV.

In: bytes and a format name. Out: records in the file's order, or one BadRecord that names the line (in JSON, where
lines mean nothing, the record). Nothing is skipped, cut or guessed: a bad line refuses the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.errors import BadRecord, InvalidInput
from headwater.protocol.canonical import parse_json
from headwater.protocol.contribution import MAX_RECORDS, Record

MAX_FILE_BYTES: Final = 256 * 2**20
FORMATS: Final = ("jsonl", "json", "csv")


def format_of(path: Path) -> str:
    """The format that a file's name promises. Raises InvalidInput for any other ending."""
    ending = path.suffix.lower().removeprefix(".")
    name = {"ndjson": "jsonl"}.get(ending, ending)
    if name not in FORMATS:
        raise InvalidInput(f"{path.name} does not end in .jsonl, .json or .csv", "rename it or pass its format")
    return name


def read_records(
    data: bytes, format_name: str, prompt_column: str = "prompt", answer_column: str = "answer"
) -> tuple[Record, ...]:
    """All records of a file. Raises BadRecord naming the first bad line."""
    if len(data) > MAX_FILE_BYTES:
        raise BadRecord(f"the file has {len(data):,} bytes, the limit is {MAX_FILE_BYTES:,}", "split it")
    readers = {"jsonl": _json_lines, "json": _json_list, "csv": _csv_rows}
    if format_name not in readers:
        raise InvalidInput(f"the format {format_name!r} is unknown", "use one of " + ", ".join(FORMATS))
    rows = readers[format_name](_text(data), prompt_column, answer_column)
    records = tuple(record for record, _ in zip(rows, range(MAX_RECORDS + 1), strict=False))
    if not records:
        raise BadRecord("the file has no records", "put at least one into it")
    if len(records) > MAX_RECORDS:
        raise BadRecord(f"the file has more than {MAX_RECORDS:,} records", "split it")
    return records


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadRecord(f"line {line} is not UTF-8", "save the file as UTF-8", line=line) from None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file: 'line 3' or 'record 3'."""

    unit: str
    number: int

    def __str__(self) -> str:
        return f"{self.unit} {self.number}"

    def bad(self, cause: str, next_step: str) -> BadRecord:
        return BadRecord(f"{self}{cause}", next_step, **{self.unit: self.number})


def _record(row: object, place: _Place, prompt: str, answer: str) -> Record:
    if not isinstance(row, dict):
        raise place.bad(" is not an object", f'write {{"{prompt}": ..., "{answer}": ...}}')
    if extra := sorted(row.keys() - {prompt, answer}):
        raise place.bad(f" has unknown members {', '.join(extra)}", "remove them")
    for name in (prompt, answer):
        if not isinstance(row.get(name), str):
            raise place.bad(f" has no text {name!r}", "give every record both texts")
    return _checked(row[prompt], row[answer], place)


def _checked(prompt: str, answer: str, place: _Place) -> Record:
    try:
        return Record(prompt, answer)
    except BadRecord as error:
        raise place.bad(f": {error.cause}", error.next_step) from None


def _json_lines(text: str, prompt: str, answer: str) -> Iterator[Record]:
    for line, source in enumerate(text.split("\n"), 1):
        if source.strip():
            place = _Place("line", line)
            yield _record(_parse(source, place), place, prompt, answer)


def _json_list(text: str, prompt: str, answer: str) -> Iterator[Record]:
    try:
        rows = parse_json(text, "the file")
    except InvalidInput as error:
        raise BadRecord(error.cause, error.next_step) from None
    if not isinstance(rows, list):
        raise BadRecord("the file is not a JSON list", "write a list of records, or use JSON Lines")
    for number, row in enumerate(rows, 1):
        yield _record(row, _Place("record", number), prompt, answer)


def _parse(source: str, place: _Place) -> object:
    try:
        return parse_json(source, "its text")
    except InvalidInput as error:
        raise place.bad(f": {error.cause}", error.next_step) from None


def _csv_rows(text: str, prompt: str, answer: str) -> Iterator[Record]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, None)
        if header is None:
            return
        columns = _columns(header, prompt, answer)
        for row in reader:
            if not row:
                continue
            place = _Place("line", reader.line_num)
            if len(row) != len(header):
                cause = f" has {len(row)} cells, the header has {len(header)}"
                raise place.bad(cause, "quote commas inside a cell")
            yield _checked(row[columns[0]], row[columns[1]], place)
    except csv.Error as error:
        raise BadRecord(f"line {reader.line_num} is not CSV: {error}", "mend it", line=reader.line_num) from None


def _columns(header: Sequence[str], prompt: str, answer: str) -> tuple[int, int]:
    """Where the two columns stand; a two-column file may name one or both as it likes."""
    names = [name.strip() for name in header]
    if prompt in names and answer in names:
        if names.count(prompt) > 1 or names.count(answer) > 1:
            raise BadRecord("the header names a column twice", "give every column its own name", line=1)
        return names.index(prompt), names.index(answer)
    if len(names) == 2:
        return (1, 0) if names[0] == answer or names[1] == prompt else (0, 1)
    raise BadRecord(
        f"the header has no columns {prompt!r} and {answer!r}: {', '.join(names)}",
        "name the columns with --prompt and --answer",
        line=1,
    )
