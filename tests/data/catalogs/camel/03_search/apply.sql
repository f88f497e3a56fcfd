ALTER TABLE "Post" ADD COLUMN "search" TSVECTOR GENERATED ALWAYS AS (to_tsvector('english', "title")) STORED;
CREATE INDEX "Post_search_idx" ON "Post" USING GIN ("search");
ALTER TABLE "User" ALTER COLUMN "role" SET DEFAULT 'MEMBER';
CREATE VIEW "PublicPost" AS SELECT "id", "title" FROM "Post" WHERE "visibility" = 'PUBLIC';
