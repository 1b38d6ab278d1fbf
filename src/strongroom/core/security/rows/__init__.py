"""Tags of rows that decide about rights: what another program writes into the database gives nobody any."""
