"""The admin API: tokens, rules, freezes and payments of every ledger in this process, for programs."""
