"""Payments: lists of them, and the life of one."""
