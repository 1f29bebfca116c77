"""Files that people have: every bad line refuses the file and is named by its number."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.datanets import formats
from headwater.datanets.formats import format_of, read_records
from headwater.errors import BadRecord, InvalidInput
from headwater.protocol.contribution import MAX_ANSWER_BYTES, MAX_PROMPT_BYTES, Record

GOOD = b'{"prompt": "p", "answer": "a"}\n'
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)
records = st.lists(st.builds(Record, texts, texts), min_size=1, max_size=8).map(tuple)


def as_lines(rows: tuple[Record, ...]) -> bytes:
    return "\n".join(json.dumps({"prompt": r.prompt, "answer": r.answer}, ensure_ascii=False) for r in rows).encode()


def as_list(rows: tuple[Record, ...]) -> bytes:
    return json.dumps([r.to_json() for r in rows]).encode()


def as_csv(rows: tuple[Record, ...]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("prompt", "answer"), *((r.prompt, r.answer) for r in rows)])
    return out.getvalue().encode()


WRITERS = {"jsonl": as_lines, "json": as_list, "csv": as_csv}


def refused(data: bytes, format_name: str, match: str) -> BadRecord:
    with pytest.raises(BadRecord, match=match) as raised:
        read_records(data, format_name)
    return raised.value


@pytest.mark.parametrize("name", WRITERS)
@given(records, st.booleans())
def test_every_format_gives_back_what_was_written(name: str, rows: tuple[Record, ...], with_mark: bool) -> None:
    """Quotes, commas, line ends and a byte order mark included."""
    mark = b"\xef\xbb\xbf" if with_mark else b""
    assert read_records(mark + WRITERS[name](rows), name) == rows


@pytest.mark.parametrize("name", WRITERS)
def test_line_ends_of_windows_and_empty_lines_do_not_count(name: str) -> None:
    rows = (Record("p", "a"), Record("q", "b"))
    data = WRITERS[name](rows).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n\r\n"
    assert read_records(data, name) == rows


# -- JSON Lines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "not an object"),
        (b'"text"', "not an object"),
        (b"{", "not JSON"),
        (b'{"prompt": "p", "prompt": "q", "answer": "a"}', "'prompt' twice"),
        (b'{"prompt": "p", "answer": NaN}', "NaN"),
        (b'{"prompt": "p", "answer": 1.5}', "fraction"),
        (b'{"prompt": "p", "answer": 7}', "no text 'answer'"),
        (b'{"prompt": "p"}', "no text 'answer'"),
        (b'{"prompt": null, "answer": "a"}', "no text 'prompt'"),
        (b'{"prompt": "p", "answer": "a", "note": ""}', "unknown members note"),
        (b'{"prompt": "", "answer": "a"}', "prompt is empty"),
        (b'{"prompt": "p", "answer": " \\t"}', "answer is empty"),
        (b'{"prompt": "\\ud800", "answer": "a"}', "surrogate"),
        (b'{"prompt": "' + b"p" * (MAX_PROMPT_BYTES + 1) + b'", "answer": "a"}', "the limit is 8,192"),
        (b'{"prompt": "p", "answer": "' + b"a" * (MAX_ANSWER_BYTES + 1) + b'"}', "the limit is 4,096"),
        (b"[" * 100_000, "nested too deeply"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_bad_line_is_named_by_its_number(line: bytes, word: str) -> None:
    error = refused(GOOD + b"\n" + line + b"\n" + GOOD, "jsonl", word)
    assert error.details["line"] == 3
    assert "line 3" in error.cause


def test_the_longest_record_that_is_allowed_is_read() -> None:
    text = "ä" * (MAX_PROMPT_BYTES // 2)
    assert read_records(as_lines((Record(text, "a"),)), "jsonl")[0].prompt == text


def test_a_line_separator_inside_a_text_ends_no_line() -> None:
    rows = (Record("one\u2028two\x85three\x0cfour", "a"),)
    assert read_records(as_lines(rows), "jsonl") == rows


# -- JSON --------------------------------------------------------------------------------------------------------


def test_json_must_be_a_list_and_names_the_bad_record() -> None:
    refused(b'{"prompt": "p", "answer": "a"}', "json", "not a JSON list")
    error = refused(b'[{"prompt": "p", "answer": "a"},\n\n\n {"prompt": "p"}]', "json", "record 2 has no text")
    assert error.details["record"] == 2


# -- CSV ---------------------------------------------------------------------------------------------------------


def test_columns_are_found_by_name_among_others() -> None:
    data = b'id,answer,"prompt"\n1,a,p\n2,"b, or ""c""","q\nr"\n'
    assert read_records(data, "csv") == (Record("p", "a"), Record("q\nr", 'b, or "c"'))


def test_columns_may_be_named_on_the_command_line() -> None:
    data = b"text,code,year\np,a,2024\n"
    assert read_records(data, "csv", prompt_column="text", answer_column="code") == (Record("p", "a"),)


@pytest.mark.parametrize("header", ["question,solution", "prompt,code", "text,answer"])
def test_a_strangers_two_columns_are_prompt_then_answer(header: str) -> None:
    assert read_records(f"{header}\np,a\n".encode(), "csv") == (Record("p", "a"),)


@pytest.mark.parametrize("header", ["answer,question", "code,prompt"])
def test_two_columns_of_which_one_says_what_it_is_are_not_swapped(header: str) -> None:
    assert read_records(f"{header}\na,p\n".encode(), "csv") == (Record("p", "a"),)


@pytest.mark.parametrize(
    ("data", "word", "line"),
    [
        (b"prompt,answer\np,a\nq\n", "line 3 has 1 cells, the header has 2", 3),
        (b"prompt,answer\np,a,x\n", "line 2 has 3 cells", 2),
        (b'prompt,answer\np,"a\n', "not CSV", 2),
        (b'prompt,answer\np,"a"x\n', "not CSV", 2),
        (b"prompt,answer\np,\n", "answer is empty", 2),
        (b"prompt,answer,prompt\np,a,q\n", "names a column twice", 1),
        (b"id,text,code\n1,p,a\n", "no columns 'prompt' and 'answer'", 1),
        (b"prompt,answer\np,a\n\xff,a\n", "line 3 is not UTF-8", 3),
        (b'prompt,answer\n"p\nq",a\np,\n', "answer is empty", 4),
    ],
)
def test_a_bad_row_is_named_by_its_line(data: bytes, word: str, line: int) -> None:
    assert refused(data, "csv", word).details["line"] == line


# -- whole files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\n\n", b"  \n"])
def test_an_empty_file_has_no_records(data: bytes) -> None:
    refused(data, "jsonl", "no records")


def test_a_header_alone_and_an_empty_list_have_no_records() -> None:
    refused(b"prompt,answer\n", "csv", "no records")
    refused(b"", "csv", "no records")
    refused(b"[]", "json", "no records")


def test_too_many_records_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_RECORDS", 3)
    assert len(read_records(GOOD * 3, "jsonl")) == 3
    refused(GOOD * 4, "jsonl", "more than 3 records")


def test_too_long_a_file_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_FILE_BYTES", len(GOOD))
    assert len(read_records(GOOD, "jsonl")) == 1
    refused(b"\xff" * (len(GOOD) + 1), "jsonl", "the limit is")


def test_a_format_follows_from_the_files_name() -> None:
    found = {format_of(Path(n)) for n in ("a.jsonl", "a.NDJSON", "b/c.Json", "d.csv")}
    assert found == {"jsonl", "json", "csv"}
    with pytest.raises(InvalidInput, match="does not end in"):
        format_of(Path("records.xlsx"))
    with pytest.raises(InvalidInput, match="unknown"):
        read_records(GOOD, "xml")
