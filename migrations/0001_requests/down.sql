DROP TABLE browser_requests;
