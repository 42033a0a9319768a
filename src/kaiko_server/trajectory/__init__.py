"""The arc of a conversation: baseline, trend, momentum, similar moments, growth."""
