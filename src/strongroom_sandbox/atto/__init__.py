"""An Atto network for tests and newcomers: a LOCAL node and a work server, which work correctly unless a fault is set."""

from strongroom_sandbox.atto.api.node_app import create_node_app
from strongroom_sandbox.atto.chain.chain import Chain, Confirmation
from strongroom_sandbox.atto.chain.genesis import GENESIS_ADDRESS, GENESIS_PRIVATE_KEY
from strongroom_sandbox.atto.chain.journal import Journal
from strongroom_sandbox.atto.chain.rejection import Reason, Rejected
from strongroom_sandbox.atto.node.node import Node
from strongroom_sandbox.atto.sandbox import AttoSandbox
from strongroom_sandbox.atto.worker import WorkServer, create_work_app

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
