DROP INDEX tasks_by_end;
DROP TABLE instruction_batches;
DROP TABLE dedupe_keys;
DROP TABLE audit_chain;
