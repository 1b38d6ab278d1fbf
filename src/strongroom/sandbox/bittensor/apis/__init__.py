"""What the runtime answers: importing this registers every runtime API."""
