-- By which key callers are known: a fingerprint of it, so that gateways that use another one can say so.
ALTER TABLE record_state ADD COLUMN identity TEXT;
