"""A small plan as a picture: five migrations of a shop, two of them applied."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import kimbledb

#: Each migration with those that it requires.
SHOP = {
    "customers": (),
    "products": (),
    "orders": ("customers", "products"),
    "invoices": ("orders",),
    "reviews": ("products",),
}
APPLIED = ("customers.sql", "products.sql")


def picture() -> str:
    """Return the plan of the shop as SVG."""
    with TemporaryDirectory() as folder:
        for number, (name, requires) in enumerate(SHOP.items(), 1):
            migration = Path(folder, f"{number:02}_{name}")
            migration.mkdir()
            (migration / "apply.sql").write_text(f"CREATE TABLE {name} (id bigint PRIMARY KEY);\n", encoding="utf-8")
            needed = ", ".join(f'"{each}.sql"' for each in requires)
            (migration / "migration.toml").write_text(f"requires = [{needed}]\n", encoding="utf-8")
        return kimbledb.Planner(kimbledb.Catalog.from_directory(folder)).plan(APPLIED).to_svg()
