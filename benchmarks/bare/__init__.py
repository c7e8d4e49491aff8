"""The limits: the same work on the wire, written as directly as the library allows. Short, to be read."""
