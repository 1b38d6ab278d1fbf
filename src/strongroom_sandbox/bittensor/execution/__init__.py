"""Extrinsics: whether one may stand in a block, what it costs, and how calls reach their pallets."""
