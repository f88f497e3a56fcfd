"""The fixtures of the shop's tests."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from shop import Customer, Product
from sqlalchemy.ext.asyncio import AsyncSession

import kimbledb


@pytest.fixture(scope="session")
def kimbledb_catalog() -> kimbledb.Catalog:
    """The shop's migrations."""
    return kimbledb.Catalog.from_directory(Path(__file__).parent / "migrations")


@pytest_asyncio.fixture
async def ann(kimbledb_session: AsyncSession) -> int:
    """The id of a customer."""
    customer = Customer(name="ann")
    kimbledb_session.add(customer)
    await kimbledb_session.commit()
    return customer.id


@pytest_asyncio.fixture
async def tea(kimbledb_session: AsyncSession) -> int:
    """The id of a product with ten pieces in stock."""
    product = Product(name="tea", price=Decimal("4.50"), stock=10)
    kimbledb_session.add(product)
    await kimbledb_session.commit()
    return product.id
