"""PostgreSQL: the only home of SQLAlchemy and asyncpg."""
