#include "vsync/client.h"

#include <time.h>

#include <utility>

#include "client/client_impl.h"

namespace vsync {

namespace {

class WholeState final : public StateSource {
 public:
  explicit WholeState(std::string bytes) : bytes_(std::move(bytes)) {}

  std::size_t read(std::span<char> space) override {
    const auto size = bytes_.copy(space.data(), space.size(), at_);
    at_ += size;
    return size;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

}  // namespace

StateSource::~StateSource() = default;

std::unique_ptr<StateSource> whole_state(std::string bytes) {
  return std::make_unique<WholeState>(std::move(bytes));
}

BootClock::time_point BootClock::now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return time_point(std::chrono::seconds(time.tv_sec) +
                    std::chrono::duration_cast<duration>(std::chrono::nanoseconds(time.tv_nsec)));
}

Handler::~Handler() = default;
void Handler::on_view(const GroupView&) {}
void Handler::on_messages(const Delivery&) {}
void Handler::on_request(const Request&) {}
void Handler::on_stable(const Stable&) {}
void Handler::on_lease(const Lease&) {}
void Handler::on_sent(const Sent&) {}
std::unique_ptr<StateSource> Handler::on_state_request(std::string_view) {
  return nullptr;
}
void Handler::on_state(const StatePiece&) {}
void Handler::on_restored(const Restored&) {}
void Handler::on_durable(std::string_view, std::uint64_t) {}
void Handler::on_excluded(std::string_view, std::string_view) {}
void Handler::on_gap(const Gap&) {}
void Handler::on_writable() {}
void Handler::on_connection(bool, std::string_view) {}
void Handler::on_cluster_view(const ClusterView&) {}
void Handler::on_quorum(bool) {}
void Handler::on_suspicion(const Suspicion&) {}
void Handler::on_other_view(const GroupView&) {}

Client::Client(Handler& handler, Options options) : impl_(std::make_unique<Impl>(handler, std::move(options))) {}
Client::~Client() = default;

Expected<Done> Client::connect(std::optional<Milliseconds> timeout) {
  return impl_->connect(impl_->deadline(timeout));
}

Expected<GroupView> Client::join(std::string_view group, JoinOptions options, std::optional<Milliseconds> timeout) {
  return impl_->join(group, std::move(options), impl_->deadline(timeout));
}

void Client::set_offer(std::string_view group, std::uint64_t offer) {
  impl_->set_offer(group, offer);
}

Expected<Done> Client::leave(std::string_view group, std::optional<Milliseconds> timeout) {
  return impl_->leave(group, impl_->deadline(timeout));
}

BootClock::time_point Client::lease_until(std::string_view group) const {
  return impl_->lease_until(group);
}

Expected<Ticket> Client::try_post(std::string_view group, std::string_view message, const SendOptions& options) {
  return impl_->try_post(group, message, options);
}

Expected<Ticket> Client::post(std::string_view group, std::string_view message, const SendOptions& options,
                              std::optional<Milliseconds> timeout) {
  return impl_->post(group, message, options, timeout);
}

Expected<Sent> Client::send(std::string_view group, std::string_view message, const SendOptions& options,
                            std::optional<Milliseconds> timeout) {
  return impl_->send(group, message, options, timeout);
}

Expected<Replies> Client::request(std::string_view group, std::string_view message, const RequestOptions& options,
                                  std::optional<Milliseconds> timeout) {
  return impl_->request(group, message, options, timeout);
}

Expected<Done> Client::reply(const GroupMember& asker, std::uint64_t request, std::string_view message, bool text) {
  return impl_->reply(asker, request, message, text);
}

Expected<Done> Client::flush(std::optional<Milliseconds> timeout) {
  return impl_->flush(impl_->deadline(timeout));
}

Credit Client::credit() const {
  return impl_->credit();
}
std::size_t Client::unanswered_bytes() const {
  return impl_->outbox().unanswered_bytes();
}

Expected<Done> Client::watch(std::optional<Milliseconds> timeout) {
  return impl_->watch(impl_->deadline(timeout));
}

Expected<DaemonStatus> Client::status(std::optional<Milliseconds> timeout) {
  return impl_->status(impl_->deadline(timeout));
}

Expected<Done> Client::poll(std::chrono::nanoseconds timeout) {
  return impl_->poll(timeout);
}

Expected<Done> Client::run() {
  return impl_->run();
}

void Client::stop() {
  impl_->stop();
}

int Client::native_handle() const {
  return impl_->native_handle();
}

bool Client::connected() const {
  return impl_->connected();
}

}  // namespace vsync
