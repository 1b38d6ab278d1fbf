"""The official library, and our service for it to deal with: one process on SQLite, shared by a module's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.hathor.js_wallet import JsClient
from support.hathor.processes import NodeProgram, WalletProgram


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProgram]:
    async with NodeProgram(tmp_path_factory.mktemp("node")) as program:
        yield program


@pytest.fixture(scope="module")
async def service(
    node: NodeProgram, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WalletProgram]:
    folder: Path = tmp_path_factory.mktemp("service")
    async with WalletProgram(node, {"STRONGROOM_DATA": str(folder)}) as program:
        yield program


@pytest.fixture(scope="module")
async def judge(service: WalletProgram) -> AsyncIterator[JsClient]:
    async with service.judge() as client:
        yield client
