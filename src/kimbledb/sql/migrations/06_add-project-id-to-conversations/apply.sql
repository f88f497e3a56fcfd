-- add-project-id-to-conversations.sql
--
-- The project of a conversation. Deleting a project leaves its conversations,
-- without one. Nothing here depends on the column but what goes with it, so that
-- ALTER TABLE conversations DROP COLUMN project_id needs no CASCADE.

ALTER TABLE conversations
    ADD COLUMN project_id text
        CONSTRAINT conversations_project_id_fkey REFERENCES projects (id) ON DELETE SET NULL,
    ADD COLUMN shared_project_id text;

-- A project's conversations, the latest first.
CREATE INDEX idx_conversations_project_id_updated_at ON conversations (project_id, updated_at DESC);
CREATE INDEX idx_conversations_shared_project_id ON conversations (shared_project_id);

COMMENT ON COLUMN conversations.project_id IS 'The project it belongs to, NULL for none; ''general'' is none unless a project has that id.';
COMMENT ON COLUMN conversations.shared_project_id IS 'project_id once more, kept by a trigger, for the policy of collaborators.';

-- A conversation has an owner of its own. The policy of its owner does not
-- look at the project, so this one, which restricts, does: nobody puts a row
-- into a project of somebody else.
CREATE POLICY conversations_own_project ON conversations AS RESTRICTIVE
    WITH CHECK (is_in_own_project(conversations));

CREATE TRIGGER conversations_general_project BEFORE INSERT OR UPDATE ON conversations
    FOR EACH ROW EXECUTE FUNCTION general_project_is_none();
CREATE TRIGGER conversations_track_shared_project BEFORE INSERT OR UPDATE ON conversations
    FOR EACH ROW EXECUTE FUNCTION track_shared_project();

-- A collaborator reads the conversations that the owner of a project has in it, with all their messages.
CREATE POLICY conversations_collaborator_read ON conversations FOR SELECT
    USING (shared_project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(shared_project_id, user_id));
CREATE POLICY messages_of_shared_conversations_read ON messages FOR SELECT
    USING (conversation_id = ANY (ARRAY(
        SELECT c.id FROM conversations AS c WHERE c.shared_project_id = ANY ((SELECT shared_projects())::text[]))));
