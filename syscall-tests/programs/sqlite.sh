# sqlite3 with transactions in WAL mode
sqlite3 d.db <<'S'
PRAGMA journal_mode=WAL;
CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000) INSERT INTO t SELECT i, hex(i*i) FROM n; COMMIT;
SELECT count(*), sum(id), max(v) FROM t;
BEGIN; DELETE FROM t WHERE id % 2; ROLLBACK; SELECT count(*) FROM t;
CREATE INDEX x ON t(v); EXPLAIN QUERY PLAN SELECT * FROM t WHERE v='1';
PRAGMA wal_checkpoint(TRUNCATE); PRAGMA integrity_check;
S
for i in 1 2 3 4; do sqlite3 -cmd '.timeout 5000' d.db "INSERT INTO t(v) VALUES('p$i')" & done; wait; sqlite3 d.db "SELECT count(*) FROM t WHERE v LIKE 'p%'"; sqlite3 d.db 'SELECT v FROM t ORDER BY v' | md5sum
