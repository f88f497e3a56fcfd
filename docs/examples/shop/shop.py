"""A shop: customers order products from a stock, in a database that kimbledb migrates."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import ForeignKey, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The base of the models."""


class Customer(Base):
    """A customer."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Product(Base):
    """A product, with the number of pieces in stock."""

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[Decimal]
    stock: Mapped[int] = mapped_column(default=0)


class Order(Base):
    """An order of some pieces of one product."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]


class SoldOutError(Exception):
    """The stock has fewer pieces than an order wants."""


async def order(session: AsyncSession, customer_id: int, product_id: int, quantity: int) -> None:
    """Order some pieces of a product, and commit.

    Raises:
        SoldOutError: The stock has fewer pieces.
    """
    taken = await session.execute(
        update(Product)
        .where(Product.id == product_id, Product.stock >= quantity)
        .values(stock=Product.stock - quantity)
        .returning(Product.id)
    )
    if taken.one_or_none() is None:
        await session.rollback()
        raise SoldOutError(product_id)
    session.add(Order(customer_id=customer_id, product_id=product_id, quantity=quantity))
    await session.commit()


async def turnover(session: AsyncSession) -> Decimal:
    """Return the price of all orders."""
    total = select(func.coalesce(func.sum(Product.price * Order.quantity), Decimal())).join_from(Order, Product)
    return (await session.execute(total)).scalar_one()


async def order_on_a_connection(engine: AsyncEngine, customer_id: int, product_id: int) -> bool:
    """Order one piece on a connection of its own, and return whether there was one."""
    async with AsyncSession(engine) as session:
        try:
            await order(session, customer_id, product_id, quantity=1)
        except SoldOutError:
            return False
        return True


def names(session: Session) -> list[str]:
    """Return the names of the customers, for a part of the shop that is not asynchronous."""
    return list(session.scalars(select(Customer.name).order_by(Customer.name)))
