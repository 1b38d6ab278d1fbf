"""An Atto network for tests and newcomers: a LOCAL node and a work server, honest unless told otherwise."""

from strongroom.sandbox.atto.chain import Chain, Confirmation
from strongroom.sandbox.atto.genesis import GENESIS_ADDRESS, GENESIS_PRIVATE_KEY
from strongroom.sandbox.atto.journal import Journal
from strongroom.sandbox.atto.node import Node
from strongroom.sandbox.atto.node_app import create_node_app
from strongroom.sandbox.atto.rejection import Reason, Rejected
from strongroom.sandbox.atto.sandbox import AttoSandbox
from strongroom.sandbox.atto.worker import WorkServer, create_work_app

__all__ = [
    "GENESIS_ADDRESS",
    "GENESIS_PRIVATE_KEY",
    "AttoSandbox",
    "Chain",
    "Confirmation",
    "Journal",
    "Node",
    "Reason",
    "Rejected",
    "WorkServer",
    "create_node_app",
    "create_work_app",
]
