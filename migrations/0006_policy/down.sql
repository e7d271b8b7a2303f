DROP TABLE policy_dispatches;
DROP TABLE policy_windows;
DROP TABLE policy_targets;
