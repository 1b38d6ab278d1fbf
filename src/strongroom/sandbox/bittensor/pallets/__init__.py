"""What the calls do: importing this registers every pallet."""
