"""Twenty tests of the shop, with the fixtures of kimbledb."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from shop import Customer, Order, Product, SoldOutError, names, order, order_on_a_connection, turnover
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session


async def stock(session: AsyncSession, product: int) -> int:
    """Return the number of pieces in stock."""
    return (await session.scalars(select(Product.stock).where(Product.id == product))).one()


async def test_the_shop_is_empty(kimbledb_session: AsyncSession) -> None:
    """Nothing is there at the beginning."""
    assert await turnover(kimbledb_session) == 0


@pytest.mark.parametrize("quantity", [1, 2, 3, 5, 9, 10])
async def test_an_order_takes_from_the_stock(kimbledb_session: AsyncSession, ann: int, tea: int, quantity: int) -> None:
    """What is ordered is no longer in stock, and counts in the turnover."""
    await order(kimbledb_session, ann, tea, quantity)

    assert await stock(kimbledb_session, tea) == 10 - quantity
    assert await turnover(kimbledb_session) == quantity * Decimal("4.50")


@pytest.mark.parametrize("quantity", [11, 100])
async def test_more_than_the_stock(kimbledb_session: AsyncSession, ann: int, tea: int, quantity: int) -> None:
    """An order of more than the stock changes nothing."""
    with pytest.raises(SoldOutError):
        await order(kimbledb_session, ann, tea, quantity)

    assert await stock(kimbledb_session, tea) == 10
    assert await turnover(kimbledb_session) == 0


@pytest.mark.parametrize("quantity", [0, -1])
async def test_an_order_of_nothing(kimbledb_session: AsyncSession, ann: int, tea: int, quantity: int) -> None:
    """The database refuses an order of no piece."""
    with pytest.raises(IntegrityError):
        await order(kimbledb_session, ann, tea, quantity)


async def test_two_orders(kimbledb_session: AsyncSession, ann: int, tea: int) -> None:
    """Each order is committed by itself."""
    await order(kimbledb_session, ann, tea, 4)
    with pytest.raises(SoldOutError):
        await order(kimbledb_session, ann, tea, 7)
    await order(kimbledb_session, ann, tea, 6)

    assert await turnover(kimbledb_session) == Decimal("45.00")


async def test_a_name_twice(kimbledb_session: AsyncSession, ann: int) -> None:  # noqa: ARG001 - she is there
    """The database refuses a second customer with the same name."""
    kimbledb_session.add(Customer(name="ann"))
    with pytest.raises(IntegrityError):
        await kimbledb_session.commit()
    await kimbledb_session.rollback()

    assert await kimbledb_session.scalar(select(func.count()).select_from(Customer)) == 1


async def test_a_negative_price(kimbledb_session: AsyncSession) -> None:
    """The database refuses a price below zero."""
    kimbledb_session.add(Product(name="debt", price=Decimal(-1)))
    with pytest.raises(IntegrityError):
        await kimbledb_session.commit()


async def test_a_customer_with_orders_stays(kimbledb_session: AsyncSession, ann: int, tea: int) -> None:
    """The database refuses to delete a customer who has ordered something."""
    await order(kimbledb_session, ann, tea, 1)
    await kimbledb_session.delete(await kimbledb_session.get_one(Customer, ann))
    with pytest.raises(IntegrityError):
        await kimbledb_session.commit()
    await kimbledb_session.rollback()

    assert (await kimbledb_session.scalars(select(Order.customer_id))).all() == [ann]


@pytest.mark.parametrize("buyers", [2, 5])
async def test_the_last_piece_is_sold_once(kimbledb_engine: AsyncEngine, buyers: int) -> None:
    """Of several who want the last piece at the same time, on connections of their own, one gets it."""
    async with AsyncSession(kimbledb_engine) as session, session.begin():
        session.add_all([Customer(id=1, name="ann"), Product(id=1, name="tea", price=Decimal(4), stock=1)])

    sold = await asyncio.gather(*(order_on_a_connection(kimbledb_engine, 1, 1) for _ in range(buyers)))

    assert sum(sold) == 1


async def test_an_engine_and_a_session(kimbledb_engine: AsyncEngine, kimbledb_session: AsyncSession) -> None:
    """In one test both have the same database: the session sees what the engine commits."""
    async with AsyncSession(kimbledb_engine) as session, session.begin():
        session.add(Customer(name="bob"))

    assert (await kimbledb_session.scalars(select(Customer.name))).all() == ["bob"]


def test_names(kimbledb_sync_session: Session) -> None:
    """A part that is not asynchronous is tested by a plain test."""
    kimbledb_sync_session.add_all([Customer(name="bob"), Customer(name="ann")])
    kimbledb_sync_session.commit()

    assert names(kimbledb_sync_session) == ["ann", "bob"]


def test_a_plain_engine(kimbledb_sync_engine: Engine) -> None:
    """A plain engine commits to a database of its test."""
    with Session(kimbledb_sync_engine) as session, session.begin():
        session.add(Customer(name="ann"))
    with Session(kimbledb_sync_engine) as session:
        assert names(session) == ["ann"]
