"""Signs extrinsics and follows them from the nonce to the final block."""
