"""What is kept: the database (the only user of SQLAlchemy) and the job folders. Imports the jobs' values."""
