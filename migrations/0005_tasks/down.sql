DROP TABLE task_logs;
DROP TABLE runs;
DROP TABLE tasks;
