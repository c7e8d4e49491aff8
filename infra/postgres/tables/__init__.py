"""The tables, one module an area; migrations make them, a test compares both."""

from sqlalchemy import MetaData

metadata = MetaData()
