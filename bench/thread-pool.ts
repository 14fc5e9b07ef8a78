/** Imported first: libuv starts its threads once, as many as the service has (see bin/prefixd). */
process.env.UV_THREADPOOL_SIZE ??= '8'
