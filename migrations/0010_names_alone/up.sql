-- What earlier versions kept of values: those in the queries of paths, and those of commands' variables. What is
-- overwritten is overwritten in the file as well. The lines of `task_logs` stay: their chain would break.
PRAGMA secure_delete = ON;

UPDATE browser_requests SET path = substr(path, 1, instr(path || '#', '#') - 1) WHERE instr(path, '#') > 0;
UPDATE browser_requests SET path = substr(path, 1, instr(path, '?')) || '…' WHERE instr(path, '?') > 0;

-- Endpoints that differ in values alone are one.
UPDATE OR IGNORE login_endpoints SET path = substr(path, 1, instr(path, '?') - 1) WHERE instr(path, '?') > 0;
DELETE FROM login_endpoints WHERE instr(path, '?') > 0;

-- Of commands by hand, and of those that a model asked for.
UPDATE runs SET result = json_set(result, '$.input.env',
        json((SELECT json_group_object(key, NULL) FROM json_each(result, '$.input.env'))))
    WHERE CASE WHEN json_valid(result) THEN json_type(result, '$.input.env') = 'object' END;
UPDATE runs SET result = json_set(result, '$.data.input.env',
        json((SELECT json_group_object(key, NULL) FROM json_each(result, '$.data.input.env'))))
    WHERE CASE WHEN json_valid(result) THEN json_type(result, '$.data.input.env') = 'object' END;
