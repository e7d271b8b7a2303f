DROP TABLE login_endpoints;
DROP TABLE logins;
