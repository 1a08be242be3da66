/* Sends streams of RTP through a relay at a steady rate and measures what comes back.
 *
 *   rtpload NAMESPACE INTERFACE_A INTERFACE_B FLOWS FRAMES_A LENGTH_A FRAMES_B LENGTH_B
 *           STREAMS PACKETS_PER_S WARM_S WINDOW_S CORE PID...
 *
 * One thread on one core. It sends on the two interfaces, and sees what arrives there, as whole
 * Ethernet frames, so the namespace needs no address and no socket per stream. All packets are made
 * beforehand: FLOWS holds for each stream the Ethernet, IP and UDP headers (42 bytes) of what A
 * sends and then of what B sends; FRAMES_A and FRAMES_B hold RTP or SRTP packets of one length.
 * In one round every stream sends the same packet both ways, in the next one the next packet, so
 * encryption costs nothing here, and a packet is known again by its port and sequence number
 * without a key.
 *
 * The window begins after WARM_S. Prints one JSON object: packets and latencies of the window, the
 * CPU time that each process PID (with all its threads) used in it, and a few packets as they came.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEADER_BYTES 42
#define LONGEST_PACKET 256
#define BATCH 16
/* Packets of one stream that may be on their way at once, a power of two. */
#define UNDER_WAY 1024
#define RING_FRAME 512
#define RING_FRAMES 65536
#define RING_BLOCK (1 << 20)
#define HISTOGRAM_US 500000
/* A debt of packets is forgotten beyond this: caught up with at once it would be a flood. */
#define LATEST_NS 2000000
/* What is still on its way when the window ends is waited for so long. */
#define GRACE_NS 300000000
#define SAMPLED_STREAMS 4
#define SAMPLES 3
#define MOST_PIDS 16

struct side {
    unsigned interface;
    int socket;
    uint8_t *ring;
    unsigned ring_position;
    const uint8_t *packets;
    size_t packet_bytes;
    size_t packet_count;
    int32_t stream_of_port[65536];
    /* When each packet that this side sends left, by stream and sequence number; 0: it arrived. */
    uint64_t *left_at;
    struct sockaddr_ll address;
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH][2];
    uint64_t *stamp[BATCH];
    int waiting;
    int samples;
};

struct usage {
    uint64_t ns[MOST_PIDS];
};

static struct side sides[2];
static const uint8_t *flows;
static int streams;
static uint64_t window_from, window_until;
static uint64_t sent, arrived, delivered;
static uint32_t histogram[HISTOGRAM_US];
static char samples[2 * SAMPLED_STREAMS * SAMPLES * (2 * LONGEST_PACKET + 32)];
static int pid_count;
static const char *pids[MOST_PIDS];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The clock that the kernel stamps arriving frames with. */
static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const uint8_t *mapped(const char *path, size_t *bytes)
{
    int file = open(path, O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status))
        fail(path);
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
    if (data == MAP_FAILED)
        fail(path);
    close(file);
    *bytes = (size_t)status.st_size;
    return data;
}

/* A raw socket that sees UDP over IPv4 arriving on the interface, through a shared ring. */
static void open_side(struct side *side, const char *interface)
{
    static struct sock_filter udp_only[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, HEADER_BYTES + LONGEST_PACKET),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog filter = {sizeof udp_only / sizeof *udp_only, udp_only};
    struct tpacket_req ring = {
        .tp_block_size = RING_BLOCK,
        .tp_block_nr = (unsigned)((size_t)RING_FRAMES * RING_FRAME / RING_BLOCK),
        .tp_frame_size = RING_FRAME,
        .tp_frame_nr = RING_FRAMES,
    };
    int version = TPACKET_V2, yes = 1, send_bytes = 4 << 20;
    int raw = socket(AF_PACKET, SOCK_RAW, 0);
    if (raw < 0 || setsockopt(raw, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) ||
        setsockopt(raw, SOL_PACKET, PACKET_VERSION, &version, sizeof version) ||
        setsockopt(raw, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) ||
        setsockopt(raw, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes) ||
        setsockopt(raw, SOL_SOCKET, SO_SNDBUFFORCE, &send_bytes, sizeof send_bytes) ||
        setsockopt(raw, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring))
        fail("raw socket");
    side->ring = mmap(NULL, (size_t)RING_FRAMES * RING_FRAME, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, raw, 0);
    if (side->ring == MAP_FAILED)
        fail("ring");
    side->interface = if_nametoindex(interface);
    struct sockaddr_ll here = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)side->interface,
    };
    if (!side->interface || bind(raw, (struct sockaddr *)&here, sizeof here))
        fail(interface);
    side->socket = raw;
    side->address = here;
    side->address.sll_halen = ETH_ALEN;
}

static const uint8_t *header_of(int who, int stream)
{
    return flows + ((size_t)stream * 2 + (size_t)who) * HEADER_BYTES;
}

static void know_ports(int who)
{
    struct side *side = &sides[who];
    memset(side->stream_of_port, -1, sizeof side->stream_of_port);
    for (int stream = 0; stream < streams; stream++) {
        const uint8_t *udp = header_of(who, stream) + 34;
        side->stream_of_port[udp[0] << 8 | udp[1]] = stream;
    }
}

static void prepare_batch(struct side *side)
{
    for (int place = 0; place < BATCH; place++) {
        struct msghdr *message = &side->message[place].msg_hdr;
        message->msg_name = &side->address;
        message->msg_namelen = sizeof side->address;
        message->msg_iov = side->part[place];
        message->msg_iovlen = 2;
    }
}

static void send_batch(struct side *side)
{
    if (!side->waiting)
        return;
    uint64_t t = now();
    for (int place = 0; place < side->waiting; place++)
        *side->stamp[place] = t;
    for (int done = 0; done < side->waiting;) {
        int taken = sendmmsg(side->socket, side->message + done,
                             (unsigned)(side->waiting - done), MSG_DONTWAIT);
        /* What the interface refuses was sent and is lost: the verdict of the step shows it. */
        done += taken > 0 ? taken : 1;
    }
    if (t >= window_from && t < window_until)
        sent += (uint64_t)side->waiting;
    side->waiting = 0;
}

/* Puts the packet number `count` of the whole load into the batch of its side. */
static void send_packet(uint64_t count)
{
    struct side *side = &sides[count & 1];
    int stream = (int)(count / 2 % (uint64_t)streams);
    uint64_t round = count / 2 / (uint64_t)streams;
    const uint8_t *packet = side->packets + round % side->packet_count * side->packet_bytes;
    unsigned sequence = (unsigned)(packet[2] << 8 | packet[3]);
    struct iovec *part = side->part[side->waiting];
    part[0].iov_base = (void *)header_of((int)(count & 1), stream);
    part[0].iov_len = HEADER_BYTES;
    part[1].iov_base = (void *)packet;
    part[1].iov_len = side->packet_bytes;
    side->stamp[side->waiting] =
        &side->left_at[(size_t)stream * UNDER_WAY + (sequence & (UNDER_WAY - 1))];
    if (++side->waiting == BATCH)
        send_batch(side);
}

static void keep_sample(int who, int stream, const uint8_t *packet, unsigned bytes)
{
    struct side *side = &sides[who];
    if (stream >= SAMPLED_STREAMS || side->samples == SAMPLED_STREAMS * SAMPLES ||
        bytes > LONGEST_PACKET)
        return;
    char *end = samples + strlen(samples);
    end += sprintf(end, "%s[%d,%d,\"", *samples ? "," : "", who, stream);
    for (unsigned place = 0; place < bytes; place++)
        end += sprintf(end, "%02x", packet[place]);
    strcpy(end, "\"]");
    side->samples++;
}

/* Counts one frame that arrived on side `who`; anything but media of a stream is passed over. */
static void take_frame(int who, const struct tpacket2_hdr *frame)
{
    const uint8_t *ethernet = (const uint8_t *)frame + frame->tp_mac;
    const uint8_t *udp = ethernet + 34, *rtp = ethernet + HEADER_BYTES;
    int stream = sides[who].stream_of_port[udp[2] << 8 | udp[3]];
    if (stream < 0 || frame->tp_snaplen < HEADER_BYTES + 12 || rtp[0] >> 6 != 2)
        return;
    uint64_t at = (uint64_t)frame->tp_sec * 1000000000u + frame->tp_nsec;
    unsigned sequence = (unsigned)(rtp[2] << 8 | rtp[3]);
    uint64_t *left_at =
        &sides[1 - who].left_at[(size_t)stream * UNDER_WAY + (sequence & (UNDER_WAY - 1))];
    if (!*left_at)
        return;
    if (at >= window_from && at < window_until) {
        arrived++;
        keep_sample(who, stream, rtp, frame->tp_snaplen - HEADER_BYTES);
    }
    if (*left_at >= window_from && *left_at < window_until) {
        uint64_t us = at > *left_at ? (at - *left_at) / 1000 : 0;
        histogram[us < HISTOGRAM_US ? us : HISTOGRAM_US - 1]++;
        delivered++;
    }
    *left_at = 0;
}

static int take_frames(int who)
{
    struct side *side = &sides[who];
    int taken = 0;
    while (taken < 256) {
        struct tpacket2_hdr *frame =
            (struct tpacket2_hdr *)(side->ring + (size_t)side->ring_position * RING_FRAME);
        if (!(__atomic_load_n(&frame->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            break;
        take_frame(who, frame);
        __atomic_store_n(&frame->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        side->ring_position = (side->ring_position + 1) % RING_FRAMES;
        taken++;
    }
    return taken;
}

static uint64_t process_cpu_ns(const char *pid)
{
    char path[512];
    uint64_t total = 0, ns;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *threads = opendir(path);
    for (struct dirent *thread; threads && (thread = readdir(threads));) {
        if (thread->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, thread->d_name);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%" SCNu64, &ns) == 1)
            total += ns;
        if (file)
            fclose(file);
    }
    if (threads)
        closedir(threads);
    return total;
}

static struct usage used(void)
{
    struct usage usage;
    for (int i = 0; i < pid_count; i++)
        usage.ns[i] = process_cpu_ns(pids[i]);
    return usage;
}

/* The latency, in microseconds, that `share` of the packets stayed under. */
static int quantile_us(double share)
{
    uint64_t wanted = (uint64_t)((double)delivered * share), seen = 0;
    for (int us = 0; us < HISTOGRAM_US; us++) {
        seen += histogram[us];
        if (seen > wanted)
            return us;
    }
    return HISTOGRAM_US;
}

/* Frames that arrived while the ring was full. */
static unsigned unseen(int who)
{
    struct tpacket_stats stats;
    socklen_t bytes = sizeof stats;
    if (getsockopt(sides[who].socket, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes))
        fail("statistics");
    return stats.tp_drops;
}

/* Sends at `rate` packets per ns until the window is over, and receives a while longer. */
static void load(double rate, double warm_s, double window_s, struct usage *before,
                 struct usage *after)
{
    uint64_t start = now(), count = 0, warm_until = start + (uint64_t)(warm_s * 1e9);
    enum { WARMING, MEASURING, OVER } phase = WARMING;
    window_from = window_until = UINT64_MAX;
    for (;;) {
        uint64_t t = now();
        if (phase == WARMING && t >= warm_until) {
            *before = used();
            window_from = now();
            window_until = window_from + (uint64_t)(window_s * 1e9);
            phase = MEASURING;
        } else if (phase == MEASURING && t >= window_until) {
            *after = used();
            phase = OVER;
        } else if (phase == OVER && t >= window_until + GRACE_NS) {
            return;
        }
        if (phase != OVER) {
            uint64_t due = (uint64_t)((double)(t - start) * rate);
            if (due > count + (uint64_t)(rate * LATEST_NS)) {
                start += (uint64_t)((double)(due - count) / rate);
                due = count;
            }
            for (int burst = 0; count < due && burst < 2 * BATCH; burst++)
                send_packet(count++);
            send_batch(&sides[0]);
            send_batch(&sides[1]);
        }
        if (take_frames(0) + take_frames(1) == 0)
            sched_yield();
    }
}

int main(int argc, char **argv)
{
    if (argc < 14 || argc - 14 > MOST_PIDS) {
        fprintf(stderr, "rtpload is run by tests.bench.media; its arguments are in its source\n");
        return 2;
    }
    size_t flow_bytes;
    double rate = atof(argv[10]) / 1e9, warm_s = atof(argv[11]), window_s = atof(argv[12]);
    flows = mapped(argv[4], &flow_bytes);
    streams = atoi(argv[9]);
    if (streams < 1 || flow_bytes < (size_t)streams * 2 * HEADER_BYTES) {
        fprintf(stderr, "the file of flows is too short\n");
        return 2;
    }
    pid_count = argc - 14;
    for (int i = 0; i < pid_count; i++)
        pids[i] = argv[14 + i];
    cpu_set_t core;
    CPU_ZERO(&core);
    CPU_SET(atoi(argv[13]), &core);
    int namespace = open(argv[1], O_RDONLY);
    if (sched_setaffinity(0, sizeof core, &core) || namespace < 0 || setns(namespace, CLONE_NEWNET))
        fail(argv[1]);
    for (int who = 0; who < 2; who++) {
        struct side *side = &sides[who];
        size_t bytes;
        side->packets = mapped(argv[5 + 2 * who], &bytes);
        side->packet_bytes = (size_t)atoi(argv[6 + 2 * who]);
        side->packet_count = bytes / side->packet_bytes;
        side->left_at = calloc((size_t)streams * UNDER_WAY, sizeof *side->left_at);
        if (!side->left_at || !side->packet_count)
            fail("packets");
        open_side(side, argv[2 + who]);
        know_ports(who);
        prepare_batch(side);
    }
    struct usage before = {{0}}, after = {{0}};
    load(rate, warm_s, window_s, &before, &after);
    printf("{\"sent\":%" PRIu64 ",\"arrived\":%" PRIu64 ",\"unseen\":%u"
           ",\"p50_us\":%d,\"p99_us\":%d,\"cpu_s\":[",
           sent, arrived, unseen(0) + unseen(1), quantile_us(0.5), quantile_us(0.99));
    for (int i = 0; i < pid_count; i++)
        printf("%s%.6f", i ? "," : "", (double)(after.ns[i] - before.ns[i]) / 1e9);
    printf("],\"samples\":[%s]}\n", samples);
    return 0;
}
