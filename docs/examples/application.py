"""An application that brings its database up to date when it starts, in every worker."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI

import kimbledb


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """Migrate before the first request is served; where nothing is to be done this is one round trip."""
    dsn = os.environ["DATABASE_URL"]
    report = await kimbledb.migrate(dsn)
    application.state.applied = len(report.applied)
    async with asyncpg.create_pool(dsn, min_size=1) as pool:
        application.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/projects")
async def projects() -> dict[str, int]:
    """How many projects there are, who applied the schema, and which process answers."""
    count = await app.state.pool.fetchval("SELECT count(*) FROM projects")
    return {"projects": count, "applied": app.state.applied, "process": os.getpid()}
