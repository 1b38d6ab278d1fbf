"""Rules of the subtensor chain as pure functions: what needs no state is decided, and tested, here."""
