-- What was left out is not to be had again.
SELECT 1;
