/* The handlers of the request table: one per method, in req_*.c. */
#ifndef FUTURED_DAEMON_HANDLERS_H
#define FUTURED_DAEMON_HANDLERS_H

struct request;

void req_hello(struct request *r);
void req_ping(struct request *r);
void req_submit(struct request *r);
void req_map(struct request *r);
void req_call(struct request *r);
void req_result(struct request *r);
void req_exception(struct request *r);
void req_state(struct request *r);
void req_wait(struct request *r);
void req_watch(struct request *r);
void req_unwatch(struct request *r);
void req_cancel(struct request *r);
void req_release(struct request *r);
void req_retry(struct request *r);
void req_list(struct request *r);
void req_show(struct request *r);
void req_failures(struct request *r);
void req_output(struct request *r);
void req_input(struct request *r);
void req_pools(struct request *r);
void req_pause(struct request *r);
void req_resume(struct request *r);
void req_resize(struct request *r);
void req_open_pool(struct request *r);
void req_close_pool(struct request *r);
void req_events(struct request *r);
void req_reload(struct request *r);
void req_config(struct request *r);
void req_backup(struct request *r);
void req_stats(struct request *r);
void req_drain(struct request *r);
void req_shutdown(struct request *r);

#endif
