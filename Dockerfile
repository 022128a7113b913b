# The binary is compiled outside, so that the image builds where no registry
# answers: see test/compose/up.
FROM scratch
ARG UID=65532
COPY --chown=${UID}:${UID} data /data
COPY writ /writ
USER ${UID}:${UID}
EXPOSE 8420 8430 8431 8432
VOLUME /data
ENTRYPOINT ["/writ"]
CMD ["--help"]
