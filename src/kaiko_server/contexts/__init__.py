"""Memory of a conversation: the latest reading of each role, readings by the client's own ids, never a text."""
