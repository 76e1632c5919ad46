"""Files go in, code works on them, files come out: all three see one file system."""

from __future__ import annotations

import json

from pytest_agb import Session

ORDERS = "item,price\nTee,3.50\nKäse,12.25\n"

SUMMARY = """
import csv, json
with open("orders.csv", encoding="utf-8", newline="") as file:
    orders = list(csv.DictReader(file))
with open("summary.json", "w") as file:
    total = sum(float(order["price"]) for order in orders)
    json.dump({"items": [order["item"] for order in orders], "total": total}, file)
"""


def test_a_table_is_summed_up(agb_session: Session) -> None:
    files = agb_session.file_system
    files.write_file("orders.csv", ORDERS).check()

    agb_session.code.run_code(SUMMARY, "python").check()

    summary = json.loads(files.read_file("summary.json").check().content)
    assert summary == {"items": ["Tee", "Käse"], "total": 15.75}


def test_a_file_is_edited_in_place(agb_session: Session) -> None:
    files = agb_session.file_system
    files.create_directory("site/css").check()
    files.write_file("site/index.html", "<title>Draft</title>").check()

    files.edit_file("site/index.html", [{"oldText": "Draft", "newText": "Ready"}]).check()

    assert files.read_file("site/index.html").content == "<title>Ready</title>"
    assert {entry["name"] for entry in files.list_directory("site").entries} == {"css", "index.html"}
