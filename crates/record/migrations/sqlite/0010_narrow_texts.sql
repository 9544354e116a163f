-- Nothing here: in SQLite words stand apart from rows as it is.
SELECT 1;
