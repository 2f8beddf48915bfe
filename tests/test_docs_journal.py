"""The page on the journal's form says what the code writes."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

from lnmailbox.keeping import codec as codec_module
from lnmailbox.keeping.sqlite import JournalFile
from pages import rows


def test_the_tables_are_those_of_a_new_file(project, tmp_path):
    """As SQLite tells them."""
    page = (project / "docs" / "journal.md").read_text(encoding="utf-8")
    shown = re.search(r"```sql\n(.*?)```", page, re.DOTALL)[1]
    JournalFile(tmp_path / "new").close()
    with closing(sqlite3.connect(tmp_path / "new")) as connection:
        made = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master")]

    assert [sql.strip() for sql in shown.split(";")[:-1]] == made


def test_every_flag_is_in_the_table_and_no_other(project):
    """Sixteen bits, in their order."""
    page = (project / "docs" / "journal.md").read_text(encoding="utf-8")
    shown = [int(row[0].strip(" `"), 16) for row in rows(page) if "0x" in row[0]]

    assert [1 << bit for bit in range(16)] == shown


def test_the_size_of_the_head_is_what_the_table_adds_up_to(project):
    """And the checksum has 4 bytes."""
    page = (project / "docs" / "journal.md").read_text(encoding="utf-8")
    table = page.split("| bytes | what |")[1].split("\n\n")[0]
    sizes = re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
    *head, checksum = [int(size) for line in sizes for size in line.split(",")]

    assert codec_module._HEAD.size == sum(head)
    assert 4 == checksum
