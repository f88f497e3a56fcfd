-- People import, read and delete what is theirs.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON chatgpt_imports, chatgpt_conversations, chatgpt_messages
    TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION search_chatgpt(text, integer) TO authenticated, service_role;
