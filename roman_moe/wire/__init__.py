"""What crosses the wire, whatever moves it: topics and message types, and the codec between messages and core types."""
