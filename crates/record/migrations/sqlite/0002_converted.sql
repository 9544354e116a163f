-- What the upstream speaks; NULL: what the client does.
ALTER TABLE transactions ADD COLUMN upstream_dialect TEXT;

-- What the policies made of the client's request, in its dialect. A manifest, packed. NULL: the upstream's request, or the client's
-- where the upstream speaks another dialect.
ALTER TABLE transactions ADD COLUMN edited_request BLOB;
