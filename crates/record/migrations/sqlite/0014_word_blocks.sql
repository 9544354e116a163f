-- Nothing here: SQLite's index of words is small as it is.
SELECT 1;
