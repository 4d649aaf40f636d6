/* SPDX-License-Identifier: Apache-2.0 */
/* C11's threads for a program under TSan (CASTELLAN_TSAN), made of POSIX threads, which TSan knows. It knows no
 * thrd_create or mtx_lock of glibc: librdkafka's threads, which are made by them, would run without a shadow and crash
 * the program. These definitions stand before glibc's for the whole process. Only what our libraries call is here; a
 * thread ends by returning. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mutex of POSIX has its place in C11's");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a condition of POSIX has its place in C11's");
_Static_assert(sizeof(once_flag) >= sizeof(pthread_once_t), "a once of POSIX has its place in C11's");

struct start {
    thrd_start_t run;
    void *arg;
};

static int answer(int status)
{
    switch (status) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case EBUSY:
        return thrd_busy;
    case ETIMEDOUT:
        return thrd_timedout;
    default:
        return thrd_error;
    }
}

static void *run(void *arg)
{
    struct start start = *(struct start *)arg;

    free(arg);
    return (void *)(long)start.run(start.arg);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *arg)
{
    struct start *start = malloc(sizeof *start);
    int status;

    if (!start)
        return thrd_nomem;
    *start = (struct start){function, arg};
    status = pthread_create(thread, NULL, run, start);
    if (status)
        free(start);
    return answer(status == EAGAIN ? ENOMEM : status);
}

int thrd_join(thrd_t thread, int *result)
{
    void *returned;
    int status = pthread_join(thread, &returned);

    if (!status && result)
        *result = (int)(long)returned;
    return answer(status);
}

void call_once(once_flag *flag, void (*function)(void))
{
    (void)pthread_once((pthread_once_t *)flag, function);
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    int status;

    pthread_mutexattr_init(&attributes);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    status = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return answer(status);
}

int mtx_lock(mtx_t *mutex)
{
    return answer(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return answer(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int cnd_init(cnd_t *condition)
{
    return answer(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

int cnd_signal(cnd_t *condition)
{
    return answer(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return answer(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return answer(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    return answer(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *)condition);
}
