"""Observatory: an application that makes a deploy visible."""
