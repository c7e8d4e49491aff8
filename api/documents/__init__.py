"""What the API says of itself: OpenAPI and AsyncAPI, as JSON and as pages."""
