DROP TABLE final_messages;
