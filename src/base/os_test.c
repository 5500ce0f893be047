#include "base/testing.h"

#include "base/os.h"

static void processors_and_time(void **state)
{
    (void)state;
    assert_true(tl_os_processors() >= 1);
    uint64_t before = tl_os_nanoseconds();
    for (int i = 0; i < 1000; i++)
        tl_os_pause();
    assert_true(tl_os_nanoseconds() >= before);
}

static void cpu_agrees_with_the_compiler(void **state)
{
    (void)state;
    tl_cpu cpu = tl_os_cpu();
#if defined(__x86_64__)
    assert_int_equal(cpu.avx2_fma, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    assert_int_equal(cpu.avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                     __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"));
    assert_int_equal(cpu.avx512_vnni, cpu.avx512 && __builtin_cpu_supports("avx512vnni"));
#endif
    assert_true(!cpu.avx512_vnni || cpu.avx512);
}

typedef struct relay {
    tl_gate *ping, *pong;
    int n;
} relay;

static void answer(void *arg)
{
    relay *r = arg;
    for (uint32_t i = 0; i < 10000; i++) {
        tl_os_gate_wait(r->ping, i);
        r->n++;
        tl_os_gate_bump(r->pong);
    }
}

static void gates_hand_over(void **state)
{
    (void)state;
    relay r = {tl_os_gate_new(), tl_os_gate_new(), 0};
    tl_thread *thread = tl_os_thread_start(answer, &r);
    assert_non_null(thread);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(r.n, i);
        tl_os_gate_bump(r.ping);
        tl_os_gate_wait(r.pong, i);
    }
    tl_os_thread_join(thread);
    assert_int_equal(tl_os_gate_value(r.pong), 10000);
    tl_os_gate_free(r.ping);
    tl_os_gate_free(r.pong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors_and_time),
        cmocka_unit_test(cpu_agrees_with_the_compiler),
        cmocka_unit_test(gates_hand_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
